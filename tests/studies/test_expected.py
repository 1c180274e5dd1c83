"""What many studies will take, by what is on disk."""

import pytest

from statewise.core.config import to_plain
from statewise.runs import Record, RunStore
from statewise.studies.expected import expected_of
from statewise.studies.study import Study


@pytest.mark.parametrize(("status", "kept"), [("diverged", 1), ("crashed", 0), ("failed", 0)])
def test_what_will_be_run_again_is_not_kept(tmp_path, make_run, status, kept):
    run, store = make_run(), RunStore(tmp_path)
    with store.begin(run) as folder:
        folder.finish(Record(config=to_plain(run), status=status, because="a test"))
    study = Study(name="a", claim="b", source="c", times={"small": "2 min"}, plan=lambda scale: [run], read=None)
    assert expected_of(study, "small", store).kept == kept
