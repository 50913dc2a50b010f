"""What software is behind a model version: a CycloneDX bill of materials, the same bytes for the same environment.

Source: CycloneDX 1.6 (ECMA-424).
"""

from datetime import UTC, datetime
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from leverframe.core.clock import SECOND_US
from leverframe.core.digest import digest_bytes
from leverframe.training.environment import packages_of


def bill_of_materials(model: str, model_file: bytes, lock: str, *, created_at_us: int) -> bytes:
    """The bill as JSON: the model with its digest, and every distribution it was made with.

    Parameters
    ----------
    model: its name.    model_file: the bytes that serve.    lock: see :func:`.environment.environment_lock`.
    """
    digest = digest_bytes(model_file)
    subject = Component(
        name=model,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=f"model:{model}",
        version=digest,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest.removeprefix("sha256:"))],
    )
    packages = [
        Component(
            name=name,
            version=version,
            type=ComponentType.LIBRARY,
            bom_ref=f"{name}=={version}",
            purl=PackageURL("pypi", name=name, version=version),
        )
        for name, version in packages_of(lock)
    ]
    bill = Bom(
        components=packages,
        # Random by default; a name for exactly this content makes the file repeatable.
        serial_number=uuid5(NAMESPACE_URL, f"{model}\n{digest}\n{lock}"),
        metadata=BomMetaData(component=subject, timestamp=datetime.fromtimestamp(created_at_us // SECOND_US, UTC)),
    )
    bill.register_dependency(subject, packages)
    return JsonV1Dot6(bill).output_as_string().encode()
