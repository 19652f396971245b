"""The commands of doit, one module each: doit imports only the one that is typed."""
