"""The same features on Spark, row for row. Start reading at ``spark_training_set.py``."""
