from tests.release.harness import Rig


def test_a_good_version_climbs_to_100_percent_and_the_watch_ends() -> None:
    rig = Rig()
    id = rig.release("flight-delay@v2")
    done = rig.run(id, 24 * 8)
    assert done.state == "completed", done.log[-1].reason
    assert [entry.event for entry in done.log] == ["apply", "proven", "proven", "watched"]
    assert [entry.weight for entry in done.log] == [0.0, 10.0, 100.0, 100.0]
    assert [arm.version for arm in rig.endpoint().arms] == ["flight-delay@v2"]
    for entry in done.log[1:3]:
        assert {v.answer for v in entry.verdicts} == {"pass"}, "a step up rests on verdicts that all pass"
