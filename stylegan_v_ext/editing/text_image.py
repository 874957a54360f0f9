"""CLIP: how well pictures fit a text (arXiv 2103.00020), through the transformers package."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from transformers import CLIPModel, PreTrainedTokenizerBase

_TEMPLATES = ("{}", "a photo of {}", "a picture of {}", "a frame of a video of {}", "a close view of {}")
# Pixels that OpenAI's models were trained on.
_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


class TextImageEncoder:
    """Embeds texts and frames in one space, as unit vectors.

    `load_encoder` makes an encoder.

    Args:
        model: A CLIP model of the transformers package.
        tokenizer: Tokenizer of the model.
        mean: Mean of the pixels that it was trained on, RGB in 0 ... 1.
        std: Standard deviation of these pixels.
    """

    def __init__(
        self,
        model: "CLIPModel",
        tokenizer: "PreTrainedTokenizerBase",
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        self.model, self.tokenizer = model.eval().requires_grad_(requires_grad=False), tokenizer
        device = next(model.parameters()).device
        self.mean, self.std = (torch.tensor(list(value), device=device)[:, None, None] for value in (mean, std))
        self._known: dict[str, torch.Tensor] = {}
        self.side: int = cast(Any, model.config.vision_config).image_size

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return self.mean.device

    def images(self, frames: torch.Tensor) -> torch.Tensor:
        """Return embeddings `[F, D]` of frames, with gradients.

        Args:
            frames: Frames `[F, C, H, W]` in -1 ... 1, C = 1 or 3.
        """
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
        """Return embeddings `[N, D]` of N texts, each the mean over a few sentences around the text."""
        return torch.stack([self._text(text) for text in texts])

    def _text(self, text: str) -> torch.Tensor:
        """Return the embedding `[D]` of one text, and keep it for the next time."""
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
        """Return the unit vector `[D]` from one text to another.

        Args:
            prompt: Where the vector ends.
            neutral: Where it begins.

        Raises:
            ValueError: If both texts have the same embedding.
        """
        there, here = self.texts([prompt, neutral])
        difference = there - here
        if float(difference.norm()) < 1e-6:
            raise ValueError(f"prompt {prompt!r} and neutral text {neutral!r} say the same; change one")
        return F.normalize(difference, dim=0)


def load_encoder(name: str, device: torch.device) -> TextImageEncoder:
    """Open a CLIP model. Nothing that the model's repository holds is executed.

    Args:
        name: A local folder, or an id of the Hugging Face hub.
        device: Where the model computes.

    Raises:
        ValueError: If the transformers package is missing, or if the model cannot be opened.
    """
    try:
        import transformers
        from transformers.utils import cached_file
    except ImportError:
        raise ValueError("CLIP needs the transformers package; pip install 'stylegan_v_ext[clip]'") from None
    try:
        with _quiet_transformers():
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


@contextlib.contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Let the transformers package print errors alone inside the block, without bars."""
    from transformers.utils import logging

    verbosity, with_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if with_bars:
            logging.enable_progress_bar()
