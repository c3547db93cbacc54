-- Of jobs that would stand in each other's way only the newest stays active; the others were lost by a crash.
UPDATE "Job" AS "older" SET
    "state" = 'failed',
    "endedAt" = now(),
    "failure" = '{"kind": "outage", "code": "job/lost", "message": "The server stopped before the job could begin", "remedy": "Start the action anew."}'
WHERE "state" IN ('queued', 'running', 'waiting')
    AND "kind" NOT IN ('protect', 'resync', 'create-lab', 'scrub')
    AND EXISTS (
        SELECT 1 FROM "Job" AS "newer"
        WHERE "newer"."subjectId" = "older"."subjectId"
            AND ("newer"."kind" = 'end-protection') = ("older"."kind" = 'end-protection')
            AND "newer"."state" IN ('queued', 'running', 'waiting')
            AND "newer"."kind" NOT IN ('protect', 'resync', 'create-lab', 'scrub')
            AND "newer"."sequence" > "older"."sequence"
    );

-- The same rule as `exclusiveKeyOf` of the domain: two processes may ask at the same moment. Prisma's schema has no words for it.
CREATE UNIQUE INDEX "Job_exclusive_key" ON "Job"("subjectId", ("kind" = 'end-protection'))
    WHERE "state" IN ('queued', 'running', 'waiting')
        AND "kind" NOT IN ('protect', 'resync', 'create-lab', 'scrub');
