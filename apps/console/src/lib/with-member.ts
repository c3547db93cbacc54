/** The list with this member or without it; the others keep their order. Pure. */
export const withMember = (list: readonly string[], member: string, isIn: boolean): readonly string[] => {
  const others = list.filter((each) => each !== member)
  return isIn ? [...others, member] : others
}
