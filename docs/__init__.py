"""The pages of the site, and the scripts that write some of them."""
