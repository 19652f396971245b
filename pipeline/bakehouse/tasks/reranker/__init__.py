"""Models that say how well texts fit a query."""
