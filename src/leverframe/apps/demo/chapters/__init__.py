"""The chapters of the story, in the order they are told. Each takes the :class:`~leverframe.apps.demo.stage.Stage` and adds its figures."""
