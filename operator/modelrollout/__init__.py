"""modelrollout: a Kubernetes operator that rolls out machine-learning models and takes bad ones back."""

__version__ = "0.1.0"
