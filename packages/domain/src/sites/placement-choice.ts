// What is there at a site to place machines in or to connect them to, beside networks: chosen from a list instead of typed.

export type PlacementChoice = {
  readonly kind: 'security-group' | 'load-balancer-pool' | 'availability-set' | 'zone'
  /** As the settings of the site name it. */
  readonly id: string
  readonly name: string
  /** What tells two of one name apart; empty: nothing has to. */
  readonly note: string
}
