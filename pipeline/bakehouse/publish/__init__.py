"""Uploads to a hub: what would change, the upload, receipts."""
