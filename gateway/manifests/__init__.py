"""The manifests of trusted documents: read from a file, a folder or an address, and again when they change."""
