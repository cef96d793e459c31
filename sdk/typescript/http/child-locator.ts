/** Where to ask for a child. Resuming a stream needs no more of an access to pools than this. */
export interface ChildLocator {
  /**
   * Whether a child's own member is asked for it. If so, a refused connection means that the child
   * is gone with its member; a gateway that refuses one says nothing about the child.
   */
  readonly asksOwners: boolean;
  /** The URL of the child, at its own member or at the gateway. */
  childUrl(id: string): Promise<string>;
}
