// "This site is down": its plans are failed over together. The button, and what it asks.
import { useQuery } from '@tanstack/react-query'
import { roleOf } from '@understudy/contract/roles'
import { lazy, Suspense, useState } from 'react'
import { api } from '../../api/client.ts'
import { useWhyRefused } from '../../api/session.ts'
import { ActionButton } from '../../ui/ActionButton.tsx'
import { LinkButton } from '../../ui/LinkButton.tsx'

// Its fields are for the bad day, not for everybody who looks at a site.
const SiteDownDialog = lazy(async () => {
  const { SiteDownDialog: loaded } = await import('./SiteDownDialog.tsx')
  return { default: loaded }
})

type SiteDownProps = {
  readonly siteId: string
  readonly name: string
  /** Of a site that answers the button is no invitation. */
  readonly answers: boolean
  readonly size?: 'compact-sm'
}

export function SiteDown({ siteId, name, answers, size }: SiteDownProps) {
  const [opened, setOpened] = useState(false)
  const refused = useWhyRefused()(roleOf.sites.failOver)
  const { data } = useQuery(api.siteFailovers.list.queryOptions({ input: { limit: 20 } }))
  const running = data?.items.find((each) => each.siteId === siteId && each.state === 'running')
  if (running)
    return (
      <LinkButton
        to="/site-failovers/$failoverId"
        params={{ failoverId: running.id }}
        color="red"
        {...(size === undefined ? {} : { size })}
      >
        Its plans are being failed over
      </LinkButton>
    )
  return (
    <>
      <ActionButton
        reason={refused}
        onClick={() => setOpened(true)}
        {...(size === undefined ? {} : { size })}
        {...(answers ? { variant: 'default' } : { color: 'red' })}
      >
        {answers ? 'This site is down' : `Fail over the plans of ${name}`}
      </ActionButton>
      {opened && (
        <Suspense fallback={null}>
          <SiteDownDialog siteId={siteId} name={name} onClose={() => setOpened(false)} />
        </Suspense>
      )}
    </>
  )
}
