"""OpenVINO IR by optimum-intel and NNCF."""
