"""Commands of `lensdream`, a module each: settings and files in, results, figures and MLflow's records out."""
