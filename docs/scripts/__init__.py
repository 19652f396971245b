"""Scripts that write pages and pictures of the site: run them in the checkout, in the environment of the tests."""
