import numpy as np

from app.selection.two_means import EXACT_POINTS, centre_distances, two_means


def test_two_clear_clusters_of_many_points_are_found() -> None:
    rng = np.random.default_rng(0)
    points = rng.standard_normal((200, EXACT_POINTS + 9, 6)) * 0.1
    truth = rng.random((200, EXACT_POINTS + 9)) < 0.5
    truth[:, 0], truth[:, 1] = False, True
    points[truth] += 3.0

    found = two_means(points @ points.transpose(0, 2, 1))

    np.testing.assert_array_equal(truth, found)


def test_no_cluster_is_empty_even_where_all_points_are_the_same() -> None:
    for points in (2, 5, EXACT_POINTS, EXACT_POINTS + 1, 64):
        second = two_means(np.ones((3, points, points)))

        assert second.any(axis=1).all()
        assert not second.all(axis=1).any()


def test_distances_are_those_to_the_mean_of_each_cluster() -> None:
    rng = np.random.default_rng(1)
    points = rng.standard_normal((10, 7, 4))
    second = two_means(points @ points.transpose(0, 2, 1))

    to_first, to_second = centre_distances(points @ points.transpose(0, 2, 1), second)

    for row in range(10):
        for members, distances in ((~second[row], to_first[row]), (second[row], to_second[row])):
            centre = points[row][members].mean(axis=0)
            np.testing.assert_allclose(distances, ((points[row] - centre) ** 2).sum(axis=1))
