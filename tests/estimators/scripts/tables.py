"""Data frames in, data frames out; columns are told by name."""

from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_wine
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.naive_bayes import CategoricalNB, GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder, StandardScaler

data = load_wine(as_frame=True)
names = data.target.map(dict(enumerate(data.target_names)))

lda = LinearDiscriminantAnalysis(n_components=2).set_output(transform="pandas")
places = lda.fit(data.data, names).transform(data.data)
print(list(places.columns), places.abs().groupby(names).mean().round(4), list(lda.feature_names_in_[:3]))

nb = make_pipeline(StandardScaler().set_output(transform="pandas"), GaussianNB()).fit(data.data, names)
print(nb.score(data.data, names), nb[-1].n_features_in_, nb[-1].feature_names_in_[-1])

table = data.data[["alcohol", "hue"]].round().astype(int).astype(str)
encoder = ColumnTransformer([("codes", OrdinalEncoder(), ["alcohol", "hue"])])
categorical = make_pipeline(encoder, CategoricalNB()).fit(table, names)
print(categorical.predict(table[:5]), categorical.predict_proba(table[:5]).round(6))
