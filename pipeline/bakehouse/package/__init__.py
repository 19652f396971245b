"""What a package holds about the model: manifest, card, bill of materials, provenance, signatures; and checking it."""
