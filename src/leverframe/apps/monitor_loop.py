"""x"""

from leverframe.apps.platform.parts import Parts


class MonitorLoop:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def look(self) -> None:
        return
