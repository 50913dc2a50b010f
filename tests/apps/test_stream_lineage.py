"""A stream that is read into a dataset is where its rows come from: in the lineage graph, and in what a collector is told."""

from pathlib import Path

from tests.apps.data_streams import ANA, opened
from tests.apps.test_data_stream import batch
from tests.apps.test_openlineage_jobs import told

from leverframe.apps.platform.views.streams import OpenStreamRequest


def test_a_stream_leads_to_its_dataset_and_each_batch_is_told_with_its_broker(tmp_path: Path) -> None:
    platform = opened(tmp_path)
    platform.streams.open(ANA, "trips", "rows", OpenStreamRequest(source="nats://broker:4222/rows"), key="open")
    platform.streams.take(ANA, "trips", "rows", batch(0, 5), key="batch")
    shown = platform.lineage.of("source:trips/rows")
    (source,) = (node for node in shown.nodes if node.kind == "source")
    assert source.note == "stream nats://broker:4222/rows; trips took 5 rows of it"
    assert {node.name for node in shown.nodes if node.kind == "column"} == {"trips.id", "trips.miles", "trips.ended_at"}
    assert platform.lineage.impact(("source:trips/rows.miles",)).columns == ("trips.miles",)
    start, done = told(platform, "ingest.trips")
    assert (start["eventType"], done["eventType"]) == ("START", "COMPLETE")
    assert [(read["namespace"], read["name"]) for read in done["inputs"]][1:] == [("nats://broker:4222", "rows")]
    assert done["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 5
    platform.close()
