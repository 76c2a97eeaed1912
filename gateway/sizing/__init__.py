"""What a deployment needs for its load: CPU, memory, replicas, requests to the environment."""
