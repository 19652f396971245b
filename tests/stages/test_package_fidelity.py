"""Where the figures of a package's fidelity come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from bakehouse.executor.making import Made, make
from bakehouse.executor.session import Session
from bakehouse.package import manifest as manifests
from bakehouse.plan.seams import BundleSpec
from bakehouse.stages import bundle
from bakehouse.stages.package import fidelity_of
from bakehouse.steps.maker import Verification
from bakehouse.steps.step import Step
from bakehouse.store.store import Store
from tests.package.test_card import manifest
from tests.support.fakes import FakeSpec, put
from tests.support.fidelities import fidelity

pytestmark = pytest.mark.needs_backend("openvino", "onnxruntime_genai")


def test_a_package_has_the_figures_that_its_fidelity_step_measured(tmp_path: Path) -> None:
    store, step = Store(tmp_path), Step("fidelity", "openvino", "tiny-int4", FakeSpec())
    make(step, Session(store), lambda staging: Made(Verification(fidelity().model_dump(mode="json"))))
    package = Step("package", "openvino", "tiny-int4", FakeSpec(), needs=(("fidelity", step),))
    assert fidelity_of(package, store) == fidelity()
    assert fidelity_of(Step("package", "openvino", "tiny-int4", FakeSpec()), store) is None


def test_a_bundle_leaves_the_figures_to_its_members(tmp_path: Path) -> None:
    store, member = Store(tmp_path), manifest("phi3", "int4-ort-cpu", fidelity=fidelity(), files=())
    package = Step("package", "openvino", member.name, FakeSpec())
    put(package, store, bakehouse_json=member.model_dump_json())
    step = Step(
        "bundle", "bundle", "phi3-tiny", BundleSpec(repository="tiny", builds=(member.build,)), needs=((member.build.build, package),)
    )
    bundle.run(step, Session(store))
    made = manifests.read(store.files(step))
    assert made.fidelity is None and [one.fidelity for one in made.members] == [fidelity()]
