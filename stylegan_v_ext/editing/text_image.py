"""CLIP: how well pictures fit a text (arXiv 2103.00020), through the transformers package."""

import json
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

DEFAULT_CLIP = "openai/clip-vit-base-patch32"
_TEMPLATES = ("{}", "a photo of {}", "a picture of {}", "a frame of a video of {}", "a close view of {}")
_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # of OpenAI's models


class TextImageEncoder:
    """Embeds texts and frames in one space, as unit vectors.

    Build with `load_encoder`.

    Args:
        model: A `CLIPModel`.
        tokenizer: Its tokenizer.
        mean, std: Of the pixels that it was trained on, RGB in 0 ... 1.
    """

    def __init__(self, model: Any, tokenizer: Any, mean: Sequence[float], std: Sequence[float]) -> None:
        self.model, self.tokenizer = model.eval().requires_grad_(False), tokenizer
        device = next(model.parameters()).device
        self.mean, self.std = (torch.tensor(list(value), device=device)[:, None, None] for value in (mean, std))
        self._known: dict[str, torch.Tensor] = {}
        self.side = int(model.config.vision_config.image_size)

    @property
    def device(self) -> torch.device:
        return self.mean.device

    def images(self, frames: torch.Tensor) -> torch.Tensor:
        """Embeddings `[F, D]` of frames `[F, 3, H, W]` in -1 ... 1, with gradients."""
        pixels = (frames.clamp(-1, 1) + 1) / 2
        if pixels.shape[1] == 1:
            pixels = pixels.expand(-1, 3, -1, -1)
        if pixels.shape[-1] != self.side:
            shrinks = pixels.shape[-1] > self.side
            pixels = F.interpolate(pixels, (self.side, self.side), mode="bicubic", antialias=shrinks).clamp(0, 1)
        seen = self.model.vision_model(pixel_values=(pixels - self.mean) / self.std).pooler_output
        return F.normalize(self.model.visual_projection(seen), dim=1)

    @torch.no_grad()
    def texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Embeddings `[N, D]`, each the mean over a few sentences around the text."""
        return torch.stack([self._text(text) for text in texts])

    def _text(self, text: str) -> torch.Tensor:
        """The embedding `[D]` of one text, kept for the next time."""
        if text not in self._known:
            sentences = [template.format(text) for template in _TEMPLATES]
            tokens = self.tokenizer(sentences, padding=True, truncation=True, return_tensors="pt").to(self.device)
            read = self.model.text_model(
                input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
            ).pooler_output
            mean = F.normalize(self.model.text_projection(read), dim=1).mean(0)
            self._known[text] = F.normalize(mean, dim=0)
        return self._known[text]

    def direction(self, prompt: str, neutral: str) -> torch.Tensor:
        """Unit vector `[D]` from a neutral text to a prompt. Raises `ValueError` if they read the same."""
        there, here = self.texts([prompt, neutral])
        difference = there - here
        if float(difference.norm()) < 1e-6:
            raise ValueError(f"prompt {prompt!r} and neutral text {neutral!r} say the same; change one")
        return F.normalize(difference, dim=0)


def load_encoder(name: str, device: torch.device) -> TextImageEncoder:
    """A CLIP from a local folder or from the Hugging Face hub.

    Raises `ValueError` with the remedy where the package is missing or there is no such model. Nothing
    that a model's repository holds is executed.
    """
    try:
        import transformers
        from transformers.utils import cached_file
    except ImportError:
        raise ValueError("CLIP needs the transformers package; pip install 'stylegan_v_ext[clip]'") from None
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    try:
        model = transformers.CLIPModel.from_pretrained(name, trust_remote_code=False)
        tokenizer = transformers.AutoTokenizer.from_pretrained(name, trust_remote_code=False)
        path = cached_file(name, "preprocessor_config.json", _raise_exceptions_for_missing_entries=False)
    except Exception as error:  # a missing folder, no network, a file of another kind: all end in many types
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(
            f"--clip={name} could not be opened ({reason}); give the folder of a CLIPModel, or a hub id with a network"
        ) from None
    settings = {}
    if path is not None:
        with open(path, encoding="utf-8") as file:
            settings = json.load(file)
    mean, std = settings.get("image_mean", _MEAN), settings.get("image_std", _STD)
    return TextImageEncoder(model.float().to(device), tokenizer, mean, std)
