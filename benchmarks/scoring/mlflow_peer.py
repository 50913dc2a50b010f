"""Runs in MLflow's own environment: the model saved as a pyfunc, then file in, scores, file out; prints what each pass took.

Arguments: the model's text, a folder for the saved model, the file, the file to write, passes.
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

text, folder, source, target, passes = sys.argv[1:]
if not Path(folder).exists():
    mlflow.lightgbm.save_model(lightgbm.Booster(model_file=text), folder)
model = mlflow.pyfunc.load_model(folder)
columns = [f"f{i}" for i in range(20)]
model.predict(pd.read_parquet(source, columns=columns).head(1000))
seconds, predicting = [], []
for _ in range(int(passes)):
    started = time.perf_counter()
    frame = pd.read_parquet(source)
    begun = time.perf_counter()
    scores = model.predict(frame[columns])
    predicting.append(time.perf_counter() - begun)
    frame[["id"]].assign(probability=scores).to_parquet(target)
    seconds.append(time.perf_counter() - started)
print(json.dumps({"seconds": seconds, "predicting": predicting, "mlflow": mlflow.__version__, "lightgbm": lightgbm.__version__}))
