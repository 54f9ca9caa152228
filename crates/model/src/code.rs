//! Every error has a stable code; `docs/errors/<code>.md` says what it means and what to do.

use std::fmt;

/// What the runtime does with a record whose processing failed. Decided here and nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Route {
    /// The same record may succeed later: try again with backoff, then dead-letter.
    Retry,
    /// Something of ours that every record needs is away: try again for as long as it takes. The lag shows it.
    Wait,
    /// The record can never succeed as it is: dead-letter it now.
    DeadLetter,
    /// The service cannot go on: stop, keep the record uncommitted.
    Fatal,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $route:ident, $summary:literal;)*) => {
        /// A stable error code. Numbers are never reused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// `PRN-0401`, as printed, put in headers and used as the name of its page.
            pub const fn id(self) -> &'static str {
                match self { $(Code::$name => concat!("PRN-", $number),)* }
            }

            /// One line of what is wrong, without the particulars.
            pub const fn summary(self) -> &'static str {
                match self { $(Code::$name => $summary,)* }
            }

            pub const fn route(self) -> Route {
                match self { $(Code::$name => Route::$route,)* }
            }

            /// The code that `id()` printed, if this release knows it.
            pub fn from_id(id: &str) -> Option<Code> {
                Code::ALL.iter().copied().find(|code| code.id() == id)
            }
        }
    };
}

codes! {
    // 01xx: workflow files
    WorkflowSyntax = "0101", Fatal, "the workflow file is not readable as YAML or JSON";
    WorkflowShape = "0102", Fatal, "a field of the workflow file is unknown, missing or of the wrong type";
    WorkflowName = "0103", Fatal, "a name or id in the workflow file is not allowed";
    WorkflowGraph = "0104", Fatal, "the steps of the workflow do not form a graph that can run";
    WorkflowExpression = "0105", Fatal, "an expression or mapping in the workflow does not compile";
    WorkflowSchema = "0106", Fatal, "a JSON Schema in the workflow is not usable";
    WorkflowFile = "0107", Fatal, "a file that the workflow names cannot be read";
    WorkflowValue = "0108", Fatal, "a value in the workflow file is not allowed";
    WorkflowTooLarge = "0109", Fatal, "a workflow is larger than a limit";
    WorkflowDuplicate = "0110", Fatal, "two files declare the same workflow or stream";
    WorkflowKind = "0111", Fatal, "a name belongs to a workflow and a stream wants it, or the other way round";

    // 02xx: installation, configuration, topics, local Kafka
    Config = "0201", Fatal, "the configuration is not valid";
    BrokerUnreachable = "0202", Fatal, "no Kafka broker answers";
    TopicShape = "0203", Fatal, "a topic is missing or has the wrong shape";
    TopicDataLoss = "0204", Fatal, "a topic change would lose data";
    TopicPartitions = "0205", Fatal, "the partition count of a topic that holds state cannot change";
    BrokerAuthentication = "0206", Fatal, "the Kafka broker refuses the credentials";
    BrokerTls = "0207", Fatal, "the TLS connection to the Kafka broker cannot be made";
    BrokerAuthorization = "0208", Fatal, "the Kafka cluster does not allow an operation";
    JavaMissing = "0210", Fatal, "the local Kafka needs a Java and none was found";
    JavaTooOld = "0211", Fatal, "the Java found is older than the local Kafka needs";
    MavenMissing = "0212", Fatal, "the local Kafka must be fetched and there is no Maven to do it";
    MavenFailed = "0213", Fatal, "Maven could not fetch what the local Kafka needs";
    LocalDownload = "0214", Fatal, "the local Kafka cannot be downloaded";
    LocalChecksum = "0215", Fatal, "a file of the local Kafka is not what it should be";
    KafkaHome = "0216", Fatal, "KAFKA_HOME holds no Apache Kafka that can be used";
    LocalPortTaken = "0217", Fatal, "the port of a local server is taken";
    LocalDiskFull = "0218", Fatal, "the disk of a local server is full";
    LocalDataDirInUse = "0219", Fatal, "the data directory is in use by a running server";
    LocalServerExited = "0220", Fatal, "a local server ended by itself";
    LocalStartTimeout = "0221", Fatal, "a local server was not ready in time";
    LocalFiles = "0222", Fatal, "a file or program of the local Kafka cannot be used";
    LocalToolFailed = "0223", Fatal, "a tool that prepares the local Kafka failed";
    TopicDeclaration = "0230", Fatal, "a topic declaration built into this binary is not valid";
    TopicChange = "0231", Fatal, "the Kafka cluster refuses a topic change";
    TopicNotReady = "0232", Fatal, "a topic was created but did not become ready in time";
    SlotInUse = "0233", Fatal, "two processes run an exactly-once service with the same slot";

    // 03xx: records, encoding, stage runtime
    RecordMalformed = "0301", DeadLetter, "a record cannot be decoded";
    SchemaUnknown = "0302", Retry, "the schema a record was written with is not known";
    RegistryUnavailable = "0303", Wait, "the schema registry does not answer";
    ClaimMissing = "0304", Retry, "a payload stored outside Kafka cannot be read";
    RecordTooLarge = "0305", DeadLetter, "a record is larger than its limit";
    WorkflowUnknown = "0306", DeadLetter, "a record names a workflow version that does not exist";
    ProduceFailed = "0307", Fatal, "a record could not be written to Kafka";
    StateUnreadable = "0308", Fatal, "a record of a state topic cannot be read";
    TransactionFailed = "0309", Fatal, "a transaction did not come to its end";
    StagePanicked = "0310", DeadLetter, "a stage failed on a record in an unforeseen way";
    StopOverdue = "0311", Fatal, "a process that was asked to end did not, and ended itself at once";

    // 04xx: sources
    SourceUnreachable = "0401", Retry, "a source cannot be reached";
    SourceTimeout = "0402", Retry, "a source did not answer in time";
    SourceStatus = "0403", Retry, "a source answers with a temporary error";
    SourceRefused = "0404", DeadLetter, "a source refuses the request";
    SourceUnauthorized = "0405", DeadLetter, "a source does not accept the credentials";
    SourceCut = "0406", Retry, "an answer was cut off";
    SourceTooLarge = "0407", DeadLetter, "an answer is larger than its limit";
    SourceNotJson = "0408", DeadLetter, "an answer is not JSON";
    SourceEmpty = "0409", DeadLetter, "an answer has no body";
    SourceRedirects = "0410", DeadLetter, "a source redirects too often";
    SourceItems = "0411", DeadLetter, "the items or the cursor are not where the step expects them";
    SourceLoop = "0412", DeadLetter, "the pages of a source go in a circle";
    SourcePages = "0413", DeadLetter, "a source has more pages than allowed";
    SourceUrl = "0414", DeadLetter, "an address or header of a request cannot be used";
    SourceCharset = "0415", DeadLetter, "an answer is not in the character set it claims";
    SourceCursor = "0416", DeadLetter, "a journaled position cannot be read";
    SourceNesting = "0417", DeadLetter, "an answer is nested too deep";
    SourceTls = "0418", DeadLetter, "the TLS connection to a source cannot be made";
    SourceHtml = "0419", DeadLetter, "an answer is a web page instead of data";
    SourceEncoding = "0420", DeadLetter, "an answer is compressed in a way that cannot be read";
    SourceHalfJson = "0421", DeadLetter, "an answer ends in the middle of its JSON";
    SourceForeignHost = "0422", DeadLetter, "a source leads to another host";
    SourceRedirectLoop = "0423", DeadLetter, "a source redirects in a circle";
    SourceRateLimit = "0424", Retry, "a source asks to be left alone for a while";
    SourceMoved = "0425", DeadLetter, "what a step reads of an answer has moved";

    // 05xx: mappings, expressions and templates
    MappingSyntax = "0501", Fatal, "a mapping or expression does not compile";
    MappingInput = "0502", DeadLetter, "the input of a mapping is not JSON";
    MappingFailed = "0503", DeadLetter, "a mapping or expression failed on its input";
    MappingUndefined = "0504", DeadLetter, "a mapping gave no value";
    MappingFunctionResult = "0505", DeadLetter, "the result of a mapping holds a function";
    MappingNotFinite = "0506", DeadLetter, "a mapping computed a number that JSON cannot hold";
    MappingInexactInteger = "0507", DeadLetter, "a mapping computes with an integer too large to be exact";
    MappingEvalDenied = "0508", DeadLetter, "a mapping calls $eval";
    MappingTimeout = "0510", Retry, "a mapping ran longer than its time limit";
    MappingSteps = "0511", DeadLetter, "a mapping took more steps than its limit";
    MappingDepth = "0512", DeadLetter, "a mapping called itself deeper than its limit";
    MappingStringLength = "0513", DeadLetter, "a mapping built a string longer than its limit";
    MappingArrayLength = "0514", DeadLetter, "a mapping built an array longer than its limit";
    MappingResultSize = "0515", DeadLetter, "the result of a mapping is larger than its limit";
    MappingInputSize = "0516", DeadLetter, "the input of a mapping is larger than its limit";
    MappingNesting = "0517", DeadLetter, "a value is nested deeper than can be mapped";
    MappingEngine = "0519", DeadLetter, "the mapping engine failed in an unforeseen way";
    TemplateSyntax = "0520", Fatal, "a template is not written correctly";
    TemplateUndefined = "0521", DeadLetter, "an expression in a template gave no value";
    TemplateValue = "0522", DeadLetter, "an expression in a template gave a value that is no text";
    RepairCase = "0523", Fatal, "a part of a repair case cannot be read";
    MappingUnknown = "0524", Fatal, "there is no such version of a mapping";
    MappingChanged = "0525", Fatal, "a mapping is not as it was when this was decided";

    // 06xx: validation and output
    ItemNotJson = "0601", DeadLetter, "a mapped item is not JSON";
    ItemInvalid = "0602", DeadLetter, "a mapped item does not satisfy the schema of its step";
    OutputTooLarge = "0603", DeadLetter, "a valid item is too large for the output topic";
    OutputKey = "0604", DeadLetter, "the key of an output record cannot be computed";
    OutputFormat = "0605", DeadLetter, "a valid value cannot be written in the format of the output topic";
    StreamHeld = "0606", Wait, "a stream holds a partition at a record that it cannot take";
    StepPaused = "0607", Wait, "a step is paused because too many of its items go to the dead letters";
    SilentDrift = "0608", DeadLetter, "outputs of a mapping are valid and do not look as they used to";

    // 07xx: runs
    TriggerNotJson = "0701", DeadLetter, "the value of a trigger record is not JSON";
    TriggerTooLarge = "0702", DeadLetter, "the value of a trigger record is larger than its limit";
    RunDeadline = "0703", DeadLetter, "the run did not end before its deadline";
    ConditionFailed = "0705", DeadLetter, "the condition of a step cannot be evaluated";
    RunCancelled = "0706", DeadLetter, "the run was cancelled";
    RunMemoryFull = "0707", Wait, "live runs take as much memory as they may";

    // 08xx: HTTP API
    GatewayTokenMissing = "0801", Fatal, "an address that others can reach needs a token";
    GatewayListen = "0802", Fatal, "the HTTP API cannot listen on its address";
    RequestUnauthorized = "0803", Fatal, "a request has no token or a wrong one";
    RequestForbidden = "0804", Fatal, "a request comes from a web page of another site";
    RequestMalformed = "0805", Fatal, "a parameter, header or body of a request is not valid";
    RequestNotJson = "0806", Fatal, "the body of a request is not JSON";
    RequestTooLarge = "0807", Fatal, "the body of a request is larger than its limit";
    RequestTimeout = "0808", Fatal, "the body of a request did not arrive in time";
    RequestNowhere = "0809", Fatal, "the HTTP API has no such address or method";
    RequestWorkflowUnknown = "0810", Fatal, "a request names a workflow that does not exist";
    RequestRunUnknown = "0811", Fatal, "a request names a run that does not exist";
    RequestRunEnded = "0812", Fatal, "a run that has ended cannot be cancelled";
    RequestNotAccepted = "0813", Retry, "Kafka did not confirm a request in time";
    GatewayBusy = "0814", Retry, "the HTTP API holds as much as it may";
    RunViewBehind = "0815", Retry, "the view of runs is still being read";
    RunViewUnusable = "0816", Fatal, "the view of runs cannot be kept in its directory";
    GatewayInternal = "0817", Fatal, "the HTTP API failed in an unforeseen way";

    // 09xx: the operator's tools
    LetterUnknown = "0901", Fatal, "there is no such dead letter";
    OperationRefused = "0902", Fatal, "what an operator asked for cannot be done";
    AuditFailed = "0903", Fatal, "the records of a workflow or stream do not add up";

    // 10xx: encryption at rest, secrets
    VaultNoKey = "1001", Fatal, "a value is encrypted, or has to be, and there is no key";
    VaultWrongKey = "1002", Fatal, "a value is encrypted with a key that is not known";
    VaultTampered = "1003", Fatal, "an encrypted value was changed, or moved from its place";
    VaultVersion = "1004", Fatal, "a value is encrypted in a form that this release does not know";
    VaultPlain = "1005", Fatal, "a value is not encrypted and should be";
    VaultKey = "1006", Fatal, "an encryption key cannot be used";
    SecretUnreadable = "1007", Fatal, "a secret cannot be read from where it should be";

    // 11xx: language models
    LlmNotConfigured = "1101", Fatal, "no language model is configured that a call could use";
    LlmUnauthorized = "1102", Fatal, "a provider of language models does not accept the key";
    LlmRefused = "1103", DeadLetter, "a provider or its model refuses the request";
    LlmRateLimited = "1104", Retry, "a provider of language models, or our own limit, wants fewer calls";
    LlmBudget = "1105", Retry, "the budget for language models is used up";
    LlmBadAnswer = "1106", DeadLetter, "the answer of a language model is not what was asked for";
    LlmTruncated = "1107", DeadLetter, "the answer of a language model is cut off";
    LlmTimeout = "1108", Retry, "a language model did not answer in time";
    LlmCircuitOpen = "1109", Retry, "a provider of language models has failed too often and is left alone";
    LlmUnavailable = "1110", Retry, "a provider of language models cannot be reached or is failing";
    LlmTooLarge = "1111", DeadLetter, "what a language model would have to be told is larger than its limit";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_in_order() {
        let ids: Vec<_> = Code::ALL.iter().map(|code| code.id()).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "{ids:?}");
        assert_eq!(Code::from_id("PRN-0203"), Some(Code::TopicShape));
    }
}
