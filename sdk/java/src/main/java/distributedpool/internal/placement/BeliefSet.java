package distributedpool.internal.placement;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Predicate;

/**
 * Beliefs in the order of their news, from which members with a free slot are drawn at random. To
 * add, to remove and to draw take the same time in any set.
 */
final class BeliefSet {
  /** The oldest first. */
  private final Map<String, Belief> byName = new LinkedHashMap<>();
  private final List<Belief> free = new ArrayList<>();

  int size() {
    return byName.size();
  }

  Belief get(String name) {
    return byName.get(name);
  }

  /** The belief whose news are the oldest; null in an empty set. */
  Belief oldest() {
    return byName.isEmpty() ? null : byName.values().iterator().next();
  }

  /** Adds the belief as the latest one. */
  void add(Belief belief) {
    byName.put(belief.name, belief);
    refile(belief);
  }

  void delete(Belief belief) {
    byName.remove(belief.name);
    setFree(belief, false);
  }

  /** Notes that a belief in the set has changed. */
  void refile(Belief belief) {
    Load load = belief.load();
    setFree(belief, load != null && load.isFree());
  }

  /** Up to `count` different beliefs of members with a free slot that pass, in random order. */
  List<Belief> draw(int count, Random random, Predicate<Belief> passes) {
    List<Belief> drawn = new ArrayList<>();
    for (int rest = free.size(); rest > 0 && drawn.size() < count; rest--) {
      Belief belief = free.get(random.nextInt(rest));
      swap(belief.index, rest - 1);
      if (passes.test(belief)) drawn.add(belief);
    }
    return drawn;
  }

  private void setFree(Belief belief, boolean isFree) {
    if (isFree == belief.index >= 0) return;
    if (isFree) {
      belief.index = free.size();
      free.add(belief);
    } else {
      swap(belief.index, free.size() - 1);
      free.remove(free.size() - 1);
      belief.index = -1;
    }
  }

  private void swap(int one, int other) {
    Collections.swap(free, one, other);
    free.get(one).index = one;
    free.get(other).index = other;
  }
}
