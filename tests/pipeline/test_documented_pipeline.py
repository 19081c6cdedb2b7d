"""docs/pipeline.md: its picture is that of dvc.yaml."""

import re

import networkx

from conftest import ROOT
from dvc_stages import generated, outs_of


def graph():
    """Stages of the quick scale, each with an arrow to those that need it; arrows that follow from others are left out."""
    stages = generated("quick")
    arrows = [
        (before, name)
        for name, stage in stages.items()
        for dep in stage.get("deps", [])
        for before, other in stages.items()
        if any(f"{dep}/".startswith(f"{out}/") or f"{out}/".startswith(f"{dep}/") for out in outs_of(other))
    ]
    whole = networkx.DiGraph()
    whole.add_nodes_from(stages)
    whole.add_edges_from(arrows)
    reduced = networkx.transitive_reduction(whole)
    return [(a, b) for a in stages for b in stages if reduced.has_edge(a, b)]


def node(name):
    return f'{name.replace("@", "_")}["{name}"]'


def drawn(arrows):
    return "\n".join(f"  {node(before)} --> {node(after)}" for before, after in arrows)


def test_the_picture_is_that_of_dvc_yaml():
    text = (ROOT / "docs" / "pipeline.md").read_text()
    picture = re.search(r"```mermaid\nflowchart TD\n(.*?)\n```", text, re.DOTALL).group(1)
    assert picture == drawn(graph())
