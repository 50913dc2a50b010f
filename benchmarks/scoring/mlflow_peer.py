"""Runs in MLflow's own environment: the model saved as a pyfunc, then file in, scores, file out; a pass for each line it
reads, and a line for each pass.

Arguments: the model's text, a folder for the saved model, the file, the file to write.
"""

import json
import sys
import time
from pathlib import Path

import lightgbm
import mlflow
import mlflow.lightgbm
import mlflow.pyfunc
import pandas as pd

text, folder, source, target = sys.argv[1:]
if not Path(folder).exists():
    mlflow.lightgbm.save_model(lightgbm.Booster(model_file=text), folder)
model = mlflow.pyfunc.load_model(folder)
columns = [f"f{i}" for i in range(20)]
model.predict(pd.read_parquet(source, columns=columns).head(1000))
print(json.dumps({"mlflow": mlflow.__version__, "lightgbm": lightgbm.__version__}), flush=True)
for _ in sys.stdin:
    cpu, started = time.process_time(), time.perf_counter()
    frame = pd.read_parquet(source)
    begun = time.perf_counter()
    scores = model.predict(frame[columns])
    predicting = time.perf_counter() - begun
    frame[["id"]].assign(probability=scores).to_parquet(target)
    took = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu, "predicting": predicting}
    print(json.dumps(took), flush=True)
