"""What the files at the top of a package are called, besides its manifest (store/package_files.py) and those of the model."""

from __future__ import annotations

CARD = "README.md"
RECIPE = "recipe.yaml"
BOM, PROVENANCE, CHECKSUMS = PROOFS = ("bom.json", "provenance.json", "SHA256SUMS")
SIGNATURE = "model.sig"
# The record in a folder that a package was delivered to (deliver/), which is no package.
DELIVERY = "bakehouse-delivery.json"
