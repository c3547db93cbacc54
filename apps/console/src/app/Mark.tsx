/** The product's mark: the outlined actor and the understudy behind, ready to go on. */
export function Mark({ size }: { readonly size: number }) {
  return <img src="/mark.svg" width={size} height={size} alt="" />
}
