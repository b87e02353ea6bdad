"""TransferSentimentClassifier: a head on an encoder that is frozen or tuned."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted

from sktransfer.classifier.data.checks import Columns, check_rows
from sktransfer.classifier.data.rows import Encoder
from sktransfer.classifier.fitting import (
    Fitted,
    fit_classifier,
    update_classifier,
)
from sktransfer.classifier.nested_parameters import (
    change_inside,
    nested_parameters,
    separate,
)
from sktransfer.classifier.network.network import (
    ACTIVATIONS,
    to_log_probabilities,
    to_probabilities,
)
from sktransfer.classifier.parameters import CONSTRAINTS, FitOptions
from sktransfer.classifier.strategies.registry import STRATEGIES
from sktransfer.estimators import DocumentedMixin
from sktransfer.validation import check_parameters, one_of

__all__ = ["TransferSentimentClassifier"]

_RULES = {
    "strategy": one_of(*STRATEGIES),
    "activation": one_of(*ACTIVATIONS),
    **CONSTRAINTS,
}


class TransferSentimentClassifier(DocumentedMixin, ClassifierMixin, BaseEstimator):
    """Texts or numbers to labels, by a small network on a pretrained encoder.

    `strategy` says what of the encoder learns. The head above it ends in a sigmoid (a
    softmax for more than two classes); by default it has 64 and 32 hidden units with
    ReLU and dropout on an encoder that rests, and is linear on one that learns. With
    `init_from` the network starts from a model of a source domain.

    Layers of a transformer learn from the loss of the rows and from that of all pairs
    of rows in a batch, which are to be alike in one class and different in two [7]_.
    After that a linear head is solved for on what they give.

    Parameters
    ----------
    encoder : BertFeaturizer, WordVectorFeaturizer, str, path-like or None, default=None
        What turns texts into features; it is cloned and fitted. A name or a path is
        ``BertFeaturizer(name)``, one of packaged word vectors
        ``WordVectorFeaturizer(name)``, and None ``BertFeaturizer()``. Parameters of all
        are in reach, as ``encoder__pooling``. Ignored where X is numbers. Under
        "feature_extraction" any transformer of texts will do.
    strategy : {"feature_extraction", "partial", "gradual", "lora", "bias", \
            "fine_tune", "contrastive"}, default="feature_extraction"
        What of the encoder learns: nothing, the top `n_trainable_layers`, one layer
        more each epoch from the top [1]_, adapters beside all layers [3]_ (needs the
        extra "lora"), the biases of all layers [6]_, or all layers. "contrastive" has
        all layers learn which texts share a class, before it trains the head on what
        they give then [4]_. Word vectors take the first, and the last two; numbers the
        first, and all others are an error.
    n_trainable_layers : int, default=2
        Layers that learn under "partial", counted from the top.
    lora_rank : int, default=8
        Rank of the adapters under "lora".
    train_embeddings : bool, default=False
        Whether a transformer's token table, most of its weights, learns under
        "fine_tune", "gradual" and "contrastive". Word vectors learn whenever they can.
    hidden_layer_sizes : array-like of int, int or "auto", default="auto"
        Hidden units of the head; ``()`` is a linear head, and 64 is ``(64,)``. "auto"
        is (64, 32) where the encoder rests and on word vectors, () where the layers of
        a transformer learn, and the source's with `init_from`. On features that do not
        learn, ``fit`` solves for the best weights of a linear head at once, and
        lengths, batches and rates have no effect.
    activation : {"relu", "gelu", "tanh", "identity"}, default="relu"
        What follows each hidden layer.
    dropout : float in [0, 1), default=0.2
        Share of hidden units silenced in a training step.
    scale_features : bool or "auto", default="auto"
        Subtract the training mean from the features and divide by one number. Both are
        part of the network and never estimated again, also not on a target domain.
        "auto" is True; sparse features are scaled but not centred.
    head_first : bool, default=False
        Train the head on what the encoder gives before layers learn with it: a head at
        random would disturb them [5]_. It goes on at their rate, if "auto", or at 1e-3
        where that is less. Ignored by "feature_extraction", "contrastive", partial_fit.
    init_from : str, path, FrozenEstimator or None, default=None
        Start from the parameters of a classifier fitted on the source domain: the
        folder that `save` wrote, or ``FrozenEstimator(source)``. Structures must agree;
        where only the classes differ, the last layer starts anew.
    l2_sp : float >= 0, default=0.0
        Decay of the parameters towards the source's instead of towards zero [2]_.
        Ignored without `init_from`.
    max_epochs : int or "auto", default="auto"
        Passes over the training rows. "auto" is the longer of 100 steps and 3 epochs
        where layers of a transformer learn, 40 steps with less than 32 rows a class,
        else of 200 steps and 10 epochs; "gradual" has 3 epochs after all layers have
        joined. With fewer, the lowest never learn.
        "contrastive" takes 20 steps, 40 from 32 texts a class, and the head its own.
    batch_size : int or "auto", default="auto"
        Rows a step; "auto" is 16 where a transformer learns by rows alone, else 32.
    encoder_learning_rate : float or "auto", default="auto"
        Peak rate of AdamW; "auto" is 1e-4, for adapters and biases 1e-3, for word
        vectors 5e-3.
    head_learning_rate : float or "auto", default="auto"
        The same for the head; "auto" is 1e-3, up to 5e-3 for less than 384 features.
    weight_decay : float or "auto", default="auto"
        Of AdamW, not on biases and norms; "auto" is 0.01. For a linear head that is
        solved for, half of it weighs each squared difference of a weight from where it
        began, zero or the source's; "auto" chooses that by cross-validation.
    layer_decay : float in (0, 1], default=1.0
        Factor on the rate from one layer of the encoder to the one below it.
    warmup_fraction : float in [0, 1), default=0.1
        Share of the steps in which the rates rise from 0; then they fall to 0.
    max_grad_norm : float > 0 or None, default=1.0
        Longer gradients are shortened to this.
    early_stopping : bool or "auto", default="auto"
        Stop when the loss on a validation part no longer falls, and go back to the best
        epoch. "auto" does so where that part was given: the rates fall to 0 anyway, and
        a part of few rows tells little about the epochs [8]_.
    validation_fraction : float in (0, 1), default=0.1
        Share of the distinct rows in the validation part.
    n_iter_no_change : int, default=5
        Epochs without a better one after which training stops.
    class_weight : dict, "balanced" or None, default=None
        As in scikit-learn; multiplies `sample_weight`.
    label_smoothing : float in [0, 1), default=0.0
        Share of each label that is spread over all classes.
    calibrate : bool or "auto", default="auto"
        Whether probabilities are divided by a temperature that makes them mean what
        they say. "auto" does so where layers have learnt: a linear head is solved for
        under a penalty that leads to such probabilities, and one with hidden layers is
        made as sure as it. True takes the validation part. Without one it trains five
        times more, without a fifth of the rows each time, which then decide: heads on
        features that rest, and layers under a head with hidden ones.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the parameters of the last fit. Rates, lengths and
        strategy may be others; another encoder, head, scale or source is an error.
    callbacks : list of skorch callbacks or None, default=None
        Called during training beside our own; where parts learn in turn, those that
        monitor the validation part only in the last training. They go by their names,
        given or skorch's, as ``callbacks__EarlyStopping__patience``.
    net_params : dict or None, default=None
        Further parameters of ``skorch.NeuralNet``, such as ``optimizer__betas``; those
        that the classifier sets itself are refused. A grid sets one of them as
        ``net_params__optimizer__betas``.
    device : str, default="auto"
        Where the network runs; "auto" takes a GPU where there is one.
    dtype : {"auto", "float32", "bfloat16"}, default="auto"
        Of the encoder's products in training; "auto" is bfloat16 where it is native.
    random_state : int, RandomState instance or None, default=None
        Initial head, order of the rows, dropout, validation part. The same int gives
        the same model on the same machine and number of threads.
    verbose : int, default=0
        1 shows a progress bar, 2 skorch's table of epochs.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Distinct labels, sorted.
    class_count_ : ndarray of shape (n_classes,)
        Rows of each class that it learnt from.
    encoder_ : transformer or None
        The fitted encoder; None after a fit on numbers.
    net_ : TransferNet
        The trained skorch net.
    history_ : skorch.history.History
        Losses and seconds of each epoch, and its `part` where parts learn in turn.
        Where rows are validated on, it has `valid_loss` and `valid_acc`, too.
    n_iter_ : int
        Epochs, of all parts.
    loss_curve_ : list of float
        Training loss of each epoch.
    best_validation_score_ : float or None
        Highest accuracy on the validation part after an epoch; None where nothing was
        validated.
    n_parameters_, n_trainable_parameters_ : int
        Of the network: all, and those that learnt.
    temperature_ : float
        What logits are divided by in ``predict_proba``.
    n_features_in_ : int
        Columns of X; only after a fit on numbers.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns; only after a fit on numbers with names.

    See Also
    --------
    BertFeaturizer : The frozen transformer alone, as a step of a pipeline.
    WordVectorFeaturizer : The same with word vectors.

    References
    ----------
    .. [1] Howard and Ruder (2018). "Universal Language Model Fine-tuning for Text
       Classification". ACL.
    .. [2] Li, Grandvalet and Davoine (2018). "Explicit Inductive Bias for Transfer
       Learning with Convolutional Networks". ICML.
    .. [3] Hu et al. (2022). "LoRA: Low-Rank Adaptation of Large Language Models". ICLR.
    .. [4] Tunstall et al. (2022). "Efficient Few-Shot Learning Without Prompts".
    .. [5] Kumar et al. (2022). "Fine-Tuning can Distort Pretrained Features and
       Underperform Out-of-Distribution". ICLR.
    .. [6] Ben Zaken, Ravfogel and Goldberg (2022). "BitFit: Simple Parameter-efficient
       Fine-tuning for Transformer-based Masked Language-models". ACL.
    .. [7] Gunel et al. (2021). "Supervised Contrastive Learning for Pre-trained
       Language Model Fine-tuning". ICLR.
    .. [8] Mosbach, Andriushchenko and Klakow (2021). "On the Stability of Fine-tuning
       BERT: Misconceptions, Explanations, and Strong Baselines". ICLR.

    Examples
    --------
    >>> from sktransfer import TransferSentimentClassifier, load_mini_reviews
    >>> texts, labels = load_mini_reviews("en", return_X_y=True)
    >>> classifier = TransferSentimentClassifier(random_state=0).fit(texts, labels)
    >>> classifier.predict(["What a lovely film!", "It broke after a day."])
    array([1, 0])
    """

    def __init__(
        self,
        encoder: Encoder | str | os.PathLike[str] | None = None,
        strategy: str = "feature_extraction",
        *,
        n_trainable_layers: int = 2,
        lora_rank: int = 8,
        train_embeddings: bool = False,
        hidden_layer_sizes: Sequence[int] | int | str = "auto",
        activation: str = "relu",
        dropout: float = 0.2,
        scale_features: bool | str = "auto",
        head_first: bool = False,
        init_from: object = None,
        l2_sp: float = 0.0,
        max_epochs: int | str = "auto",
        batch_size: int | str = "auto",
        encoder_learning_rate: float | str = "auto",
        head_learning_rate: float | str = "auto",
        weight_decay: float | str = "auto",
        layer_decay: float = 1.0,
        warmup_fraction: float = 0.1,
        max_grad_norm: float | None = 1.0,
        early_stopping: bool | str = "auto",
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        class_weight: Mapping[object, float] | str | None = None,
        label_smoothing: float = 0.0,
        calibrate: bool | str = "auto",
        warm_start: bool = False,
        callbacks: list[Any] | None = None,
        net_params: dict[str, Any] | None = None,
        device: str = "auto",
        dtype: str = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.encoder = encoder
        self.strategy = strategy
        self.n_trainable_layers = n_trainable_layers
        self.lora_rank = lora_rank
        self.train_embeddings = train_embeddings
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.scale_features = scale_features
        self.head_first = head_first
        self.init_from = init_from
        self.l2_sp = l2_sp
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.encoder_learning_rate = encoder_learning_rate
        self.head_learning_rate = head_learning_rate
        self.weight_decay = weight_decay
        self.layer_decay = layer_decay
        self.warmup_fraction = warmup_fraction
        self.max_grad_norm = max_grad_norm
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.label_smoothing = label_smoothing
        self.calibrate = calibrate
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.net_params = net_params
        self.device = device
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose

    def fit(
        self,
        X: object,
        y: object,
        sample_weight: object = None,
        *,
        X_val: object = None,
        y_val: object = None,
        sample_weight_val: object = None,
    ) -> Self:
        """Train on texts or numbers.

        Parameters
        ----------
        X : iterable of str of length n, or matrix of shape (n, n_features)
            Texts, or numbers, dense or sparse.
        y : array-like of shape (n,)
            Labels of any type; at least two distinct ones.
        sample_weight : array-like of shape (n,) or None, default=None
            A row of weight 2 counts like the row twice. Only ratios matter: weights are
            scaled to a mean of 1 over the n rows that are learnt from, and the loss of
            a batch of b rows is ``sum(weight * loss) / b``. Rows of weight 0 are left
            out. Few rows of great weight make noisy batches, whose long gradients
            `max_grad_norm` shortens.
        X_val : like X, default=None
            Rows to validate on; without them a part of X may be split off, see
            `early_stopping`.
        y_val : array-like or None, default=None
            Labels of `X_val`, none but those in y.
        sample_weight_val : array-like or None, default=None
            Weights of the rows of `X_val` in losses and in the temperature; only ratios
            matter.

        Returns
        -------
        self : TransferSentimentClassifier

        Raises
        ------
        InvalidInputError
            If X, y or a weight cannot be used.
        InvalidParameterError
            If a parameter is out of range, or `strategy` tunes an encoder and X is
            numbers.
        StaleFitError
            If `warm_start` is to go on with another encoder, head or source.
        TrainingError
            If the loss is no longer a number.
        """
        check_parameters(self.get_params(deep=False), _RULES)
        random_state = check_random_state(self.random_state)
        options = FitOptions.of(self)
        before = self._fitted() if options.warm_start else None
        rows = (X, y, sample_weight, X_val, y_val, sample_weight_val)
        return self._take(fit_classifier(self, options, before, random_state, *rows))

    def partial_fit(
        self, X: object, y: object, classes: object = None, sample_weight: object = None
    ) -> Self:
        """Train for one more pass over these rows, at constant rates.

        The optimiser goes on from call to call while the parameters stay the same.

        Parameters
        ----------
        X : iterable of str of length n, or matrix of shape (n, n_features)
            Of the kind of the first call.
        y : array-like of shape (n,)
            Labels.
        classes : array-like of shape (n_classes,) or None, default=None
            All classes that will ever come; needed in the first call.
        sample_weight : array-like of shape (n,) or None, default=None
            As in ``fit``, among the rows of this call: they are scaled to a mean of 1,
            so that each call counts by its rows. For a whole call to count more, pass
            it more than once.

        Returns
        -------
        self : TransferSentimentClassifier
        """
        check_parameters(self.get_params(deep=False), _RULES)
        random_state = check_random_state(self.random_state)
        options, before = FitOptions.of(self), self._fitted()
        rows = (X, y, classes, sample_weight)
        return self._take(update_classifier(self, options, before, random_state, *rows))

    def decision_function(self, X: object) -> npt.NDArray[np.float64]:
        """Logits: of the second of two classes, or of each class.

        Parameters
        ----------
        X : iterable of str of length n, or matrix of shape (n, n_features)
            Of the kind that the model was fitted on.

        Returns
        -------
        logits : ndarray of shape (n,) or (n, n_classes)
            Not calibrated.
        """
        logits = self._logits(X)
        return logits[:, 0] if len(self.classes_) == 2 else logits

    def predict_proba(self, X: object) -> npt.NDArray[np.float64]:
        """Probability of each class.

        Parameters
        ----------
        X : iterable of str of length n, or matrix of shape (n, n_features)
            Of the kind that the model was fitted on.

        Returns
        -------
        probabilities : ndarray of shape (n, n_classes)
            Columns in the order of `classes_`; rows sum to 1.
        """
        return to_probabilities(self._logits(X), self.temperature_)

    def predict_log_proba(self, X: object) -> npt.NDArray[np.float64]:
        """Logarithm of the probability of each class.

        Parameters
        ----------
        X : iterable of str of length n, or matrix of shape (n, n_features)
            Of the kind that the model was fitted on.

        Returns
        -------
        log_probabilities : ndarray of shape (n, n_classes)
            Columns in the order of `classes_`; exact also where a probability is
            nearly 0.
        """
        return to_log_probabilities(self._logits(X), self.temperature_)

    def predict(self, X: object) -> npt.NDArray[Any]:
        """Most probable label of each row.

        Parameters
        ----------
        X : iterable of str of length n, or matrix of shape (n, n_features)
            Of the kind that the model was fitted on.

        Returns
        -------
        labels : ndarray of shape (n,)
            As they were written in y.
        """
        logits = self._logits(X)
        two = len(self.classes_) == 2
        numbers = (logits[:, 0] > 0).astype(int) if two else logits.argmax(axis=1)
        labels: npt.NDArray[Any] = self.classes_[numbers]
        return labels

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters by name.

        Parameters
        ----------
        deep : bool, default=True
            Also those of the encoder, of a default or a named one too, of the callbacks
            and of the net, as ``encoder__pooling``.

        Returns
        -------
        parameters : dict
            Values by name.
        """
        found: dict[str, Any] = super().get_params(deep=deep)
        return found | nested_parameters(found) if deep else found

    def set_params(self, **params: Any) -> Self:
        """Change parameters.

        Parameters
        ----------
        **params : dict
            Values by name. Where the encoder is None or a name and one within it is
            set, as ``encoder__pooling``, `encoder` becomes the featurizer that it stood
            for. Callbacks go by their names, as ``callbacks__early__patience``, and an
            entry of `net_params` as ``net_params__optimizer__betas``.

        Returns
        -------
        self : TransferSentimentClassifier
        """
        plain, inside = separate(params)
        super().set_params(**plain)
        for owner, changes in inside.items():
            setattr(self, owner, change_inside(owner, getattr(self, owner), changes))
        return self

    def _get_params_html(self, deep: bool = True, *args: Any, **kwargs: Any) -> Any:
        # Else scikit-learn would show the inside of a default as set by the user.
        return super()._get_params_html(False, *args, **kwargs)

    # As scikit-learn's MLPClassifier has them; of whatever fit the history is.
    @property
    def n_iter_(self) -> int:
        """Epochs, of all parts."""
        return len(self.history_)

    @property
    def loss_curve_(self) -> list[float]:
        """Training loss of each epoch."""
        return [float(line["train_loss"]) for line in self.history_]

    @property
    def best_validation_score_(self) -> float | None:
        """Highest accuracy on the validation part after an epoch, or None."""
        found = [float(row["valid_acc"]) for row in self.history_ if "valid_acc" in row]
        return max(found, default=None)

    def _fitted(self) -> Fitted | None:
        """What the last fit gave."""
        if not hasattr(self, "net_"):
            return None
        columns = None
        if self.encoder_ is None:
            names = getattr(self, "feature_names_in_", None)
            columns = Columns(self.n_features_in_, names)
        return Fitted(
            self.net_,
            self._input,
            self.encoder_,
            self.classes_,
            self.class_count_,
            columns,
            self.temperature_,
            getattr(self, "_origin", None),
        )

    def _take(self, fitted: Fitted) -> Self:
        """Set the fitted attributes; an interrupt goes on up after that."""
        columns = fitted.columns
        for left in ("feature_names_in_", "n_features_in_"):
            self.__dict__.pop(left, None)
        if columns is not None and columns.names is not None:
            self.feature_names_in_ = columns.names
        if columns is not None:
            self.n_features_in_ = columns.n_features
        self.net_ = fitted.net
        self.class_count_ = fitted.class_count
        self.classes_ = fitted.classes
        self.encoder_ = fitted.encoder
        self._input = fitted.input
        self._origin = fitted.origin
        self.history_ = fitted.net.history
        parameters = list(fitted.net.module_.parameters())
        self.n_parameters_ = sum(p.numel() for p in parameters)
        self.n_trainable_parameters_ = sum(
            p.numel() for p in parameters if p.requires_grad
        )
        self.temperature_ = fitted.net.temperature_ = fitted.temperature
        if fitted.net.interrupted_:
            raise KeyboardInterrupt
        return self

    def _logits(self, X: object) -> npt.NDArray[np.float64]:
        check_is_fitted(self)
        checked = check_rows(self, X, texts=self.encoder_ is not None)
        rows = self._input.rows(checked)
        return np.asarray(self.net_.predict_logits(rows), dtype=np.float64)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "net_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        # Numbers have no layers that could learn.
        known = isinstance(self.strategy, str) and self.strategy in STRATEGIES
        numbers = not (known and STRATEGIES[self.strategy].tunes_encoder)
        tags.input_tags.sparse = numbers
        tags.input_tags.two_d_array = numbers
        tags.input_tags.one_d_array = False
        return tags
