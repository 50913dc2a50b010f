"""What shapes of requests come in: input names and datatypes, counted, so that a release can be held against what callers really send."""

from collections.abc import Mapping

from leverframe.core.compatibility import SeenForm
from leverframe.serving.protocol.oip import InferDocument
from leverframe.serving.protocol.tensors import Tensor

FORMS_MAX = 8
"""Kept of each endpoint; of further ones only the number of requests is counted."""
INPUTS_MAX = 64
"""Of one form; a longer request is counted with the further ones."""
NAME_CHARS_MAX = 64
"""Of one input; a request with a longer name is counted with the further ones."""
PAGE_FORMS_MAX = 128
"""On the health page, over all endpoints; the forms of further endpoints are left out, so that the page stays small enough to be read."""
USUAL_EVERY = 64
"""Of the usual requests, which take a shorter way, one in so many is looked at, and stands for all of them."""
_Key = tuple[tuple[str, str], ...] | int


class SeenForms:
    """Forms of accepted requests by endpoint, since the worker started."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[_Key, int]] = {}
        self._others: dict[str, int] = {}

    def note(self, endpoint: str, document: InferDocument, fields: Mapping[str, int], requests: int = 1) -> None:
        """Count an accepted request, or several of its form.

        Parameters
        ----------
        fields: the model's request fields by name; one table under any other name is packed.
        """
        inputs = document.inputs
        if len(inputs) == 1 and len(inputs[0].shape) == 2 and inputs[0].name not in fields:
            self._count(endpoint, inputs[0].shape[1], requests)
        elif len(inputs) <= INPUTS_MAX and all(len(tensor.name) <= NAME_CHARS_MAX for tensor in inputs):
            self._count(endpoint, tuple(sorted(map(_described, inputs))), requests)
        else:
            self._others[endpoint] = self._others.get(endpoint, 0) + requests

    def _count(self, endpoint: str, key: _Key, requests: int) -> None:
        counts = self._counts.setdefault(endpoint, {})
        if key in counts or len(counts) < FORMS_MAX:
            counts[key] = counts.get(key, 0) + requests
        else:
            self._others[endpoint] = self._others.get(endpoint, 0) + requests

    def of(self, endpoint: str) -> tuple[SeenForm, ...]:
        """The forms of one endpoint, most frequent first."""
        counts = sorted(self._counts.get(endpoint, {}).items(), key=lambda item: -item[1])
        return tuple(
            SeenForm(packed=key, count=count) if isinstance(key, int) else SeenForm(inputs=key, count=count) for key, count in counts
        )

    def page(self) -> dict[str, object]:
        """For the health page: endpoint to its forms, and how many requests had others."""
        page: dict[str, object] = {}
        left = PAGE_FORMS_MAX
        for name in sorted(self._counts):
            forms = self.of(name)[:left]
            left -= len(forms)
            page[name] = {"forms": forms, "others": self._others.get(name, 0)}
        return page


def _described(tensor: Tensor) -> tuple[str, str]:
    return tensor.name, tensor.datatype
