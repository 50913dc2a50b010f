"""The flight-delay project, written as a team would write it: data preparation, contracts, features and a model."""
