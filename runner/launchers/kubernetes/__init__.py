"""A Job of Kubernetes for every launch: what is asked for, how the cluster is reached, and what its words mean."""
