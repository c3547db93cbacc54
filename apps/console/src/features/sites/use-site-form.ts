import { useMutation } from '@tanstack/react-query'
import { useRef, useState } from 'react'
import { client, problemOf } from '../../api/client.ts'
import { checkDraft, type SiteDraft, toSiteInput } from './site-draft.ts'

/**
 * A draft that may be saved only as it was last tested: any change asks for another test of the connection.
 * Problems are those of the form once somebody has tried, and those that the server named.
 */
export function useSiteForm(initial: SiteDraft, saved = false) {
  const place = useRef<HTMLDivElement>(null)
  const [draft, setDraft] = useState(initial)
  const [tested, setTested] = useState<SiteDraft | null>(null)
  const [tried, setTried] = useState(false)
  const test = useMutation({
    mutationFn: (candidate: SiteDraft) => client.sites.testConnection(toSiteInput(candidate)),
    onSuccess: (_, candidate) => setTested(candidate),
    onSettled: () => leadOn(place.current),
  })
  const own = checkDraft(draft, saved)
  const fromServer =
    test.error && test.variables === draft
      ? Object.fromEntries((problemOf(test.error).fields ?? []).map((field) => [field.path, field.message]))
      : {}
  return {
    /** Of everything that the form shows. */
    place,
    draft,
    setDraft,
    problems: tried ? { ...fromServer, ...own } : fromServer,
    test: (): void => {
      setTried(true)
      if (Object.keys(own).length === 0) test.mutate(draft)
      else leadOn(place.current)
    },
    /** Whether it may be sent as it is; shows what is wrong with it. */
    check: (): boolean => {
      setTried(true)
      if (Object.keys(own).length > 0) leadOn(place.current)
      return Object.keys(own).length === 0
    },
    testing: test.isPending,
    testError: test.variables === draft ? test.error : null,
    /** What the test found, while the draft is still what was tested. */
    summary: tested === draft ? (test.data?.summary ?? null) : null,
    incomplete: tried && Object.keys(own).length > 0,
  }
}

/** The form is longer than the screen: to the first field that does not fit, or to what the test found. */
function leadOn(form: HTMLElement | null): void {
  // Not before it is drawn.
  requestAnimationFrame(() => {
    const wrong = form?.querySelector<HTMLElement>('[aria-invalid="true"]')
    if (wrong) wrong.focus()
    else form?.querySelector('[role="alert"]')?.scrollIntoView({ block: 'nearest' })
  })
}
