"""Scores of tasks side by side say what a row for each task says, in fewer bytes."""

import numpy as np
import pandas as pd
import pytest

from wm import nback
from wm.nback.packing import packed, unpacked
from wm.nback.task import TASKS

WHOSE = ["family", "seed", "lures", "split", "task"]
SCORES = ["balanced", "all_steps", "match", "non_match", "match_other_view"]


@pytest.fixture
def rows():
    """Scores of a network of all tasks and one of a single task, in the order in which tests come."""
    drawn = np.random.default_rng(0)
    found = []
    for family, tasks in (("gru_mtmf", TASKS), ("gru_stsf_2_category", TASKS[7:8])):
        for split in ("trained", "novel_both"):
            for lures in ("natural", "balanced"):
                for task in tasks:
                    about = dict(zip(WHOSE, (family, 3, lures, split, task.name), strict=True))
                    match, non_match, whole, other, alone = drawn.integers(5000, 10001, 5) / 1e4
                    if lures == "natural":
                        values = ((match + non_match) / 2, whole, match, non_match, other)
                    else:
                        values = (alone, *[np.nan] * 4)
                    found.append(about | dict(zip(SCORES, values, strict=True)))
    return pd.DataFrame(found)


def test_packed_rows_come_back(rows):
    table = packed(rows)
    families, splits = ("gru_mtmf", "gru_stsf_2_category"), ("trained", "novel_both")
    expected = [[family, 3, split] for family in families for split in splits]
    assert table[["family", "seed", "split"]].to_numpy().tolist() == expected
    again = unpacked(table)
    assert [*again] == WHOSE + SCORES
    objects = rows.task.str.endswith("identity")
    expected = rows.assign(match_other_view=rows.match_other_view.where(objects))
    pd.testing.assert_frame_equal(again, expected, check_exact=False, atol=1e-9)


def test_all_tables_have_the_same_columns(rows):
    one = packed(rows[rows.family == "gru_stsf_2_category"])
    assert [*one] == [*packed(rows)] and len([*one]) == 3 + 9 * 4 + 3
    shown = one.drop(columns=["family", "seed", "split"]).notna().any()
    assert {*shown.index[shown]} == {
        f"2-back category {name}" for name in ("all_steps", "match", "non_match", "balanced_lures")
    }


def test_a_packed_table_is_small(rows):
    many = pd.concat([rows.assign(seed=seed) for seed in range(20)])
    small, large = (len(each.to_csv(index=False)) for each in (packed(many), many))
    assert small < large / 2.5


def test_every_task_is_in_the_table(rows):
    names = {name.rsplit(" ", 1)[0] for name in packed(rows) if " " in name}
    assert names == {task.name for task in nback.TASKS}
