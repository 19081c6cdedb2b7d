"""Files and places in them that a user names."""

import shutil

import pandas as pd
import pytest

from lensdream.commands.score import score_files
from lensdream.cutouts.reader import PixelPosition, SkyPosition
from lensdream.cutouts.sources import Target, TargetKind, find_files, tabled, tabled_targets
from tiny_finders import save_tiny_finder, write


@pytest.fixture
def model(tmp_path):
    return save_tiny_finder(tmp_path / "a model")


@pytest.fixture
def files(tmp_path):
    return [write(tmp_path / "cutouts" / f"{seed}.fits", seed) for seed in range(5)]


def test_folders_globs_and_names_find_files_in_order(tmp_path, files):
    folder = tmp_path / "cutouts"
    (folder / "deep").mkdir()
    shutil.copy(files[0], folder / "deep" / "odd [name]+1.fits")
    (folder / "deep" / "packed.fits.gz").write_bytes(b"")
    (folder / "notes.txt").write_text("")
    everything = [*sorted((folder / "deep").iterdir()), *files]
    assert sorted(find_files([str(folder)])[0]) == sorted(everything)
    assert find_files([str(folder / "?.fits"), str(files[2])]) == (files, [])
    assert find_files([str(folder / "**" / "*.fits")])[0] == sorted([*files, everything[0]])
    assert find_files([str(folder / "deep" / "odd [name]+1.fits")])[0] == everything[:1]
    assert find_files([str(folder / "x*"), str(folder / "deep")])[1] == [str(folder / "x*")]


def test_files_by_any_name_and_links_to_nothing(tmp_path, files, monkeypatch, model, capsys):
    folder = files[0].parent
    names = ("b.FIT", "c.fts", "d.fit.gz", "e.fits.fz")
    for name in names:
        shutil.copy(files[0], folder / name)
    (folder / "f.fits.bz2").write_bytes(b"BZh91AY&SY")
    (folder / "g.fits").symlink_to("gone.fits")
    (folder / "h.fits").mkdir()
    (folder / "i.fits.txt").write_text("")
    found = find_files([str(folder)])[0]
    assert found == sorted([*files, *(folder / name for name in (*names, "f.fits.bz2", "g.fits"))])
    monkeypatch.chdir(tmp_path)
    assert find_files(["cutouts/0.fits", f"{folder}/../cutouts/0.fits", "cutouts"])[0][0].parent.name == "cutouts"
    assert len(find_files(["cutouts/0.fits", f"{folder}/../cutouts/0.fits", "cutouts"])[0]) == len(found)
    assert score_files([str(folder)], tmp_path / "t.csv", str(model)) == 3
    assert len(pd.read_csv(tmp_path / "t.csv")) == 9
    told = capsys.readouterr().err
    assert "f.fits.bz2: not a FITS file" in told
    assert "g.fits: a link to nothing" in told


def test_a_row_of_other_length_costs_no_other_row(tmp_path):
    (tmp_path / "positions.csv").write_text("id,file,x_pix,y_pix\nA,x.fits,1,2,\nB,x.fits\nC,x.fits,3,4,5,6\n")
    targets, refused = tabled_targets([tmp_path])
    assert [target.name for target in targets] == ["position A", "position C"]
    assert len(refused) == 1
    assert "id B" in refused[0][1]


def test_tables_of_positions(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "positions.csv").write_text("id,file,x_pix,y_pix\nA,x.fits,1,2\nA,x.fits,1,2\n")
    targets, refused = tabled_targets([tmp_path, tmp_path / "sub"])
    assert [(t.path, t.name, t.kind) for t in targets] == [
        (tmp_path / "sub" / "x.fits", "position A", TargetKind.POSITION)
    ]
    assert refused == []
    (tmp_path / "positions.csv").write_text("id,file,x_pix\nA,x.fits,1\n")
    (tmp_path / "field_objects.csv").write_text("id,file,x_pix,y_pix\nB,x.fits,one,2\n07,x.fits,1,2\nC,x.fits\n")
    targets, refused = tabled_targets([tmp_path])
    assert {target.name for target in targets} == {"field 07", "position A"}
    assert refused == [
        (tmp_path / "field_objects.csv", f"id {row}: a place is a file and two numbers")
        for row in ("B: file = 'x.fits', x_pix = 'one', y_pix = '2'", "C: file = 'x.fits', x_pix = '', y_pix = ''")
    ] + [
        (
            tmp_path / "positions.csv",
            "the columns are id, file, x_pix: a table of positions has id, file and x_pix, y_pix or ra_deg, dec_deg",
        )
    ]


def test_places_on_the_sky_are_read_from_right_ascension_and_declination(tmp_path):
    table = tmp_path / "p.csv"
    table.write_text("id,file,ra_deg,dec_deg\nA,x.fits,150.1,-2\nB,,1,2\nC,x.fits,inf,2\n")
    targets, reasons = tabled(table)
    assert targets == [Target(tmp_path / "x.fits", SkyPosition(150.1, -2.0), "position A", TargetKind.POSITION)]
    assert [reason[:5] for reason in reasons] == ["id B:", "id C:"]
    table.write_text("id,file,x_pix,y_pix,ra_deg,dec_deg\nA,x.fits,3,4,150,2\nB,x.fits,,4,150,2\n")
    assert [target.centre for target in tabled(table)[0]] == [PixelPosition(3, 4), SkyPosition(150, 2)]
