"""The program that has OpenVINO's Windows library compile a model, under Wine."""

from pathlib import Path

SOURCE = Path(__file__).with_name("compile.c").resolve()
