"""Value models of any architecture: one number for each position, on the body of a causal language model.

Transformers calls this token classification and has classes for it, which plain transformers and peft load; for the
many architectures that have none, one is made here of the same parts and with the same names.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from oreo.errors import DataError


def value_class(config: Any, name: str) -> Any:
    """The class of value models for a configuration of transformers.

    Args:
        name: of the model, for its own code and for errors.

    Raises:
        DataError: a model that is no causal language model.
    """
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING

    own = getattr(config, "auto_map", None) or {}
    if "AutoModelForTokenClassification" in own:
        return _from_code(own["AutoModelForTokenClassification"], name)
    if type(config) in MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING:
        return MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING[type(config)]
    if "AutoModelForCausalLM" in own:
        return _made_of(_from_code(own["AutoModelForCausalLM"], name))
    if type(config) in MODEL_FOR_CAUSAL_LM_MAPPING:
        return _made_of(MODEL_FOR_CAUSAL_LM_MAPPING[type(config)])
    raise DataError(f"{name} is a {config.model_type}, and no causal language model, so it can have no value")


def _from_code(reference: str, name: str) -> Any:
    """A class that comes with a model. Its configuration was loaded, so its code may run: the user said so."""
    from transformers.dynamic_module_utils import get_class_from_dynamic_module

    return get_class_from_dynamic_module(reference, name)


def _made_of(causal: Any) -> Any:
    from transformers import PreTrainedModel
    from transformers.modeling_outputs import TokenClassifierOutput

    parent: Any = next(base for base in causal.__mro__[1:] if issubclass(base, PreTrainedModel))

    class TokenClassification(parent):
        base_model_prefix = causal.base_model_prefix
        _tied_weights_keys = None

        def __init__(self, config: Any) -> None:
            super().__init__(config)
            setattr(self, self.base_model_prefix, getattr(causal(config), self.base_model_prefix))
            self.score = nn.Linear(config.get_text_config().hidden_size, 1)
            self.post_init()

        def forward(
            self,
            input_ids: Tensor | None = None,
            attention_mask: Tensor | None = None,
            position_ids: Tensor | None = None,
            **more: Any,
        ) -> Any:
            named = {"input_ids": input_ids, "attention_mask": attention_mask, "position_ids": position_ids}
            inputs = {key: argument for key, argument in named.items() if argument is not None}
            states = self.base_model(**inputs, **more).last_hidden_state
            return TokenClassifierOutput(logits=self.score(states))

    TokenClassification.__name__ = TokenClassification.__qualname__ = (
        causal.__name__.removesuffix("ForCausalLM").removesuffix("LMHeadModel") + "ForTokenClassification"
    )
    return TokenClassification
