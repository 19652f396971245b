"""What lies in a package about the model: manifest, card, bill of materials, provenance, signatures; and checking it."""
