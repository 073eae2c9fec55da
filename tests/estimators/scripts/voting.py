"""Several classifiers vote, by their probabilities."""

from sklearn.datasets import load_breast_cancer
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X[:, :8], y, random_state=1)
voters = [
    ("gnb", GaussianNB()),
    ("lda", LinearDiscriminantAnalysis()),
    ("tree", DecisionTreeClassifier(max_depth=3, random_state=1)),
]
for ensemble in (
    VotingClassifier(voters, voting="soft", weights=[2, 1, 1]),
    VotingClassifier(voters, voting="hard"),
    BaggingClassifier(GaussianNB(), n_estimators=5, random_state=1),
    AdaBoostClassifier(GaussianNB(), n_estimators=5, random_state=1),
    StackingClassifier(voters, final_estimator=LogisticRegression(), cv=3),
):
    ensemble.fit(X_train, y_train)
    print(type(ensemble).__name__, round(ensemble.score(X_test, y_test), 6), ensemble.predict(X_test[:9]))
