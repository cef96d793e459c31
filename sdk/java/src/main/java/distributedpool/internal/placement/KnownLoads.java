package distributedpool.internal.placement;

import distributedpool.internal.consul.Member;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Predicate;

/**
 * The loads of a pool's members as one client knows them: those that it was told, and what it has
 * sent and seen end since. It asks nobody.
 *
 * <p>A choice compares a few random members that are known, and the one whose child ended last.
 * Clients that were told the same loads spread over the members, because each draws others.
 */
final class KnownLoads {
  /** 100 ms: a member that said nothing for longer is sent no call before it answers a question. */
  private static final double FRESH_MS = 100;
  /** 5 seconds: until then, a member that had a free slot is worth a question. */
  private static final double KNOWN_MS = 5_000;
  /** 1,024 members of each of the two ages are known at a time, those of the latest news. */
  private static final int MAX_KNOWN = 1_024;
  /** 5 random members are compared. */
  private static final int CHOICES = 5;

  /**
   * A member that is believed to have a free slot.
   *
   * @param isBusy whether a sample of the unknown members is likely to show a lower load
   */
  record Choice(Member member, Load load, boolean isBusy) {}

  private final BeliefSet fresh = new BeliefSet();
  private final BeliefSet older = new BeliefSet();
  /** The member whose child ended last. */
  private Belief freed;
  /** The mean of active/max in the last sample. */
  private double sampleMean;
  private double sampleAt = Double.NEGATIVE_INFINITY;

  private static double now() {
    return System.nanoTime() / 1e6;
  }

  /** Notes the load that a member told. */
  synchronized void note(String name, Load load) {
    Belief belief = of(name);
    belief.told(load, now());
    renew(belief);
  }

  /** Notes the loads of a random sample of the members, beside {@link #note} for each of them. */
  synchronized void noteSample(Collection<Load> sample) {
    if (sample.isEmpty()) return;
    sampleMean = sample.stream().mapToDouble(Load::ratio).average().orElse(0);
    sampleAt = now();
  }

  /** Notes that a member was sent a request for an admission. */
  synchronized void sent(String name) {
    Belief belief = of(name);
    belief.sent(now());
    setOf(belief).refile(belief);
  }

  /** Notes the answer to such a request; the load is null where it told none. */
  synchronized void answered(String name, boolean isAdmitted, Load load) {
    Belief belief = find(name);
    if (belief == null) return;
    belief.answered(isAdmitted, load, now());
    if (load != null) renew(belief);
    else setOf(belief).refile(belief);
  }

  /** Notes that a child which this client placed there has ended. */
  synchronized void ended(String name) {
    Belief belief = find(name);
    if (belief == null || belief.load() == null) return;
    belief.ended(now());
    renew(belief);
    freed = belief;
  }

  /** The least loaded of a few members that spoke just now and have a free slot; null for none. */
  synchronized Choice choose(Map<String, Member> members, Predicate<Member> mayTry) {
    double now = now();
    age(now);
    Random random = ThreadLocalRandom.current();
    List<Belief> drawn = fresh.draw(CHOICES, random, belief -> isUsable(belief, members, now));
    boolean isKnown = freed != null && freed.index >= 0 && fresh.get(freed.name) == freed;
    if (isKnown && !drawn.contains(freed) && isUsable(freed, members, now)) drawn.add(freed);
    for (Belief belief : byLoad(drawn)) {
      Member member = members.get(belief.name);
      if (!mayTry.test(member)) continue;
      Load load = belief.load();
      boolean hasUnknown = members.size() > fresh.size();
      return new Choice(member, load, hasUnknown && isBusy(load, now));
    }
    return null;
  }

  /** The least loaded of a few members whose loads are old, worth a question; null for none. */
  synchronized Member older(Map<String, Member> members, Predicate<Member> mayTry) {
    double now = now();
    age(now);
    Random random = ThreadLocalRandom.current();
    List<Belief> drawn = older.draw(CHOICES, random, belief -> isUsable(belief, members, now));
    for (Belief belief : byLoad(drawn))
      if (mayTry.test(members.get(belief.name))) return members.get(belief.name);
    return null;
  }

  private static List<Belief> byLoad(List<Belief> beliefs) {
    List<Belief> sorted = new ArrayList<>(beliefs);
    sorted.sort(Comparator.comparingDouble(belief -> belief.load().ratio()));
    return sorted;
  }

  private static boolean isUsable(Belief belief, Map<String, Member> members, double now) {
    return members.containsKey(belief.name) && belief.silentMs(now) <= FRESH_MS;
  }

  /** Whether other members are likely to be less loaded, by more than half a slot. */
  private boolean isBusy(Load load, double now) {
    double usual = now - sampleAt <= KNOWN_MS ? sampleMean : 0;
    return load.active() > 0 && load.ratio() > usual + 0.5 / load.max();
  }

  private Belief find(String name) {
    Belief found = fresh.get(name);
    return found == null ? older.get(name) : found;
  }

  private Belief of(String name) {
    Belief known = find(name);
    if (known != null) return known;
    Belief belief = new Belief(name, now());
    add(belief, fresh);
    return belief;
  }

  private BeliefSet setOf(Belief belief) {
    return fresh.get(belief.name) == null ? older : fresh;
  }

  private void renew(Belief belief) {
    setOf(belief).delete(belief);
    add(belief, fresh);
  }

  private static void add(Belief belief, BeliefSet set) {
    set.add(belief);
    if (set.size() > MAX_KNOWN) set.delete(set.oldest());
  }

  /** Moves beliefs to the older ones, and forgets the oldest. */
  private void age(double now) {
    for (Belief each; (each = fresh.oldest()) != null && now - each.at > FRESH_MS; ) {
      fresh.delete(each);
      add(each, older);
    }
    for (Belief each; (each = older.oldest()) != null && now - each.at > KNOWN_MS; )
      older.delete(each);
  }
}
