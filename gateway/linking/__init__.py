"""Linking: customers link their environments to the deployment, and prove that they administer them."""
