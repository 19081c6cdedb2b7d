"""MLflow's pages: the command that serves them and addresses on them."""

from itertools import pairwise

from lensdream.tracking.pages import run_url, stage_links, ui_command
from lensdream.tracking.registry import has_champion
from lensdream.tracking.store import database_of


def test_a_runs_address_names_port_experiment_and_run():
    assert run_url("3", "abc", 5123) == "http://127.0.0.1:5123/#/experiments/3/runs/abc"


def test_looking_for_links_or_a_champion_makes_no_database(tmp_path):
    assert stage_links("quick", tmp_path) == {}
    assert not has_champion(tmp_path)
    assert not list(tmp_path.iterdir())


def test_pages_are_served_from_the_folders_database_to_this_machine_alone(tmp_path):
    command = ui_command(tmp_path, 5123)
    assert database_of(tmp_path).is_file()
    options = dict(pairwise(command))
    assert options["--backend-store-uri"].endswith(str(database_of(tmp_path)))
    assert (options["--host"], options["--port"]) == ("127.0.0.1", "5123")
    assert stage_links("quick", tmp_path) == {}
