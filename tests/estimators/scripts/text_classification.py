"""Sort short messages by their words: counts and tf-idf, both sparse, in a pipeline."""

from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.metrics import classification_report
from sklearn.naive_bayes import BernoulliNB, MultinomialNB
from sklearn.pipeline import make_pipeline

OFFERS = "win cash prize", "cheap pills offer", "cash offer now", "free prize draw", "free cheap cash"
NOTES = "meeting at noon", "lunch with the team", "notes of the meeting", "train at noon", "the team train"
texts = [*OFFERS, *NOTES]
labels = ["offer"] * 5 + ["note"] * 5
new = ["free cash now", "meeting with the team", "cheap lunch offer", "unheard words only"]

for steps in (
    [CountVectorizer(), MultinomialNB()],
    [CountVectorizer(ngram_range=(1, 2)), TfidfTransformer(), MultinomialNB(alpha=0.1)],
    [CountVectorizer(binary=True), BernoulliNB()],
):
    text_clf = make_pipeline(*steps)
    text_clf.fit(texts, labels)
    print(text_clf.predict(new), text_clf.predict_proba(new).round(6))
    print(classification_report(labels, text_clf.predict(texts)))

words = text_clf[0].get_feature_names_out()
log_odds = text_clf[-1].feature_log_prob_[1] - text_clf[-1].feature_log_prob_[0]
print(words[log_odds.argsort()[-3:]], text_clf[-1].feature_count_.sum(1))
