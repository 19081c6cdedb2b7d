"""The search for better training settings; the only package that imports Optuna.

A trial trains for a few epochs on a part of the images and is judged by the area under the validation ROC curve. The
trials lie in a journal beside MLflow's database, or in a PostgreSQL database: a search that was stopped goes on, and
several processes, of one machine or of many, share one search.
"""

from lensdream.tuning.params_file import write_settings
from lensdream.tuning.space import SPACE, settings_of

__all__ = ["SPACE", "settings_of", "write_settings"]
