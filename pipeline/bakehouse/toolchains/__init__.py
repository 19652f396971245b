"""Toolchains: releases of transformers that converters run with, other than the one that is installed, each pinned by hash."""
