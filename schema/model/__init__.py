"""The model of a service: records, snapshot, exposure, declared relations."""
