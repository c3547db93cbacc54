-- Which run has begun a job is asked wherever a machine waits to be committed whose plan has not seen its end.
CREATE INDEX "PlanActivity_jobId_idx" ON "PlanActivity"("jobId");
