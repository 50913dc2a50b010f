"""A version made again, as the platform tells it: one whose rows were deleted since."""

from tests.apps.fake_records import NOW_US

from leverframe.core.actor import Actor
from leverframe.core.errors import NotFound
from leverframe.training.reproduction_commands import ReproductionRecord


def reproduction(name: str) -> ReproductionRecord:
    return ReproductionRecord(
        id="rep-1",
        version=name,
        model=name.partition("@")[0],
        asked_by="ana",
        asked_at_us=NOW_US,
        status="rows_deleted",
        differences=("training set: sha256:aa became sha256:bb",),
        deleted=("3 of 40 rows of weather were deleted for good by erasure-1; what remains is sha256:cc",),
        proven=("the exported model is made of the fitted one, byte for byte",),
        finished_at_us=NOW_US,
    )


class FakeReproducing:
    def __init__(self, calls, access) -> None:
        self._calls, self._access = calls, access

    def start(self, actor: Actor, name: str, *, key: str) -> ReproductionRecord:
        self._calls.write(self._access, actor, "Training.Start", key, name)
        return reproduction(name)

    def newest(self, name: str) -> ReproductionRecord:
        if not name.startswith("flight-delay@v"):
            raise NotFound("this version was never made again", where=name)
        return reproduction(name)
